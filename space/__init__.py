import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else ONNX Runtime's wheel reports each model it loads to Microsoft
