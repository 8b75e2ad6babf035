"""The webcam: one picture in, the tracked faces out, as data that the page draws over its own video."""

import json
import time
from dataclasses import dataclass, field
from html import escape

from space.result_html import bars
from space.text import emotion_name, faces_found, percent, say
from space.tracking import HISTORY_SECONDS, Tracker

SHOWN = 4  # faces with bars; all faces have boxes
RATE_SECONDS = 2.0  # the rate is counted over this time
CURVE = (300, 60)  # width and height of the curve in its own units


@dataclass
class LiveSession:
    """What one person's stream remembers: numbers, never a picture."""

    tracker: Tracker = field(default_factory=Tracker)
    arrivals: list[float] = field(default_factory=list)

    def rate(self, now):
        """Pictures a second over the last two seconds."""
        self.arrivals = [t for t in self.arrivals if now - t <= RATE_SECONDS] + [now]
        return (len(self.arrivals) - 1) / max(now - self.arrivals[0], 1e-9) if len(self.arrivals) > 1 else 0.0


def live_step(analyzer, picture, session, language):
    """HTML for one decoded frame. `session` is changed in place."""
    analysis = analyzer.analyse(picture)
    now = time.monotonic()
    tracks = session.tracker.update(
        now, [face.box for face in analysis.faces], [face.probabilities for face in analysis.faces]
    )
    return live_html(tracks, analysis, session.rate(now), now, language)


def live_html(tracks, analysis, rate, now, language):
    """Boxes as data for the page's overlay, and beside it the bars and a curve of the largest faces."""
    names = [emotion_name(language, label) for label in analysis.label_names]
    faces = []
    for track in tracks:
        winner = int(track.probabilities.argmax())
        x, y, width, height = (round(float(v), 1) for v in track.box)
        faces.append(
            {
                "box": [x, y, width, height],
                "class": winner,
                "words": [str(track.number), names[winner], percent(language, float(track.probabilities[winner]))],
            }
        )
    data = escape(json.dumps({"size": analysis.size, "faces": faces}))
    largest = sorted(tracks[:SHOWN], key=lambda track: track.number)  # by size they would change places all the time
    panels = "".join(face_panel(track, analysis.label_names, names, now, language) for track in largest)
    if not panels:
        panels = f'<p class="fer-empty">{escape(say(language, "live_no_face"))}</p>'
    found = faces_found(language, len(faces))
    speed = say(language, "live_rate", rate=f"{rate:.0f}")
    return (
        f'<div class="fer-live fer-card" data-live="{data}"><p class="fer-count">{escape(found)} · '
        f'<span class="fer-rate">{escape(speed)}</span></p>{panels}</div>'
    )


def face_panel(track, label_names, names, now, language):
    winner = int(track.probabilities.argmax())
    p = percent(language, float(track.probabilities[winner]))
    title = escape(say(language, "face_title", number=track.number, emotion=names[winner], percent=p))
    return (
        f'<section class="fer-panel" style="--c:var(--fer-{winner})"><h3>{title}</h3>'
        f"{bars(label_names, track.probabilities, language)}{curve(track, now, language)}</section>"
    )


def curve(track, now, language):
    """The probabilities of the last half minute as one line for each class; the newest at the right edge."""
    if len(track.history) < 2:
        return ""
    width, height = CURVE
    step = max(1, len(track.history) // 100)
    points = track.history[::-1][::step][::-1]
    lines = "".join(
        '<polyline style="--c:var(--fer-{})" points="{}"/>'.format(
            index,
            " ".join(
                f"{width * (1 - (now - t) / HISTORY_SECONDS):.1f},{height - 2 - (height - 4) * float(p[index]):.1f}"
                for t, p in points
            ),
        )
        for index in range(len(track.probabilities))
    )
    label = escape(say(language, "live_curve", number=track.number))
    return (
        f'<figure class="fer-curve"><svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><path d="M0 {height / 2}H{width}"/>{lines}</svg><figcaption>'
        f"<span>{escape(say(language, 'live_begin'))}</span><span>{escape(say(language, 'live_end'))}</span>"
        f"</figcaption></figure>"
    )
