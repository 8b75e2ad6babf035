"""The app: `python app.py` serves it at http://127.0.0.1:7860 with the model in `model/`.

FER_MODEL=FOLDER|USER/NAME[@REVISION] serves another model, FER_DETECTOR=PATH|haar names the face detector, and
GRADIO_SERVER_NAME and GRADIO_SERVER_PORT the address. `space/limits.py` lists what FER_LIMIT_… can set.
"""

import contextlib
import os

if "SPACE_ID" in os.environ:  # on the Hub: what ZeroGPU looks for, before Gradio
    with contextlib.suppress(ImportError):
        import space.zero_gpu  # noqa: F401

from space.server import main

if __name__ == "__main__":
    main()
