"""The app: `python app.py` serves it at http://127.0.0.1:7860 with the model in `model/`.

FER_MODEL=FOLDER|USER/NAME[@REVISION] serves another model, FER_DETECTOR=PATH|haar names the face detector, and
GRADIO_SERVER_NAME and GRADIO_SERVER_PORT the address. `space/limits.py` lists what FER_LIMIT_… can set.
"""

from space.server import main

if __name__ == "__main__":
    main()
