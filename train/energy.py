"""The energy of a run, as CodeCarbon estimates it for the machine: from counters where the system shows them, else from
the processor's rated power and its load."""

import logging

from train.config import ConfigError


class EnergyMeter:
    """kWh between laps. Raises ConfigError where CodeCarbon isn't installed."""

    def __init__(self):
        try:
            from codecarbon import OfflineEmissionsTracker
        except ModuleNotFoundError:
            raise ConfigError("--measure_energy needs CodeCarbon: pip install codecarbon") from None
        logging.getLogger("codecarbon").setLevel(logging.ERROR)
        # offline: no place is looked up on the network; the country only matters for CO2, which is not reported
        self.tracker = OfflineEmissionsTracker(
            country_iso_code="USA", save_to_file=False, log_level="error", allow_multiple_runs=True
        )
        self.laps = 0
        self.tracker.start_task("lap 0")

    def lap(self):
        """kWh since the last call, or since the beginning."""
        energy = self.tracker.stop_task(f"lap {self.laps}").energy_consumed
        self.laps += 1
        self.tracker.start_task(f"lap {self.laps}")
        return energy
