"""The API as MCP tools (GRADIO_MCP_SERVER=1), for a real MCP client where Gradio's extra is installed."""

import json
import os
import shutil
import subprocess
import sys

from tests.space.served import Server

CLIENT = """
import asyncio, base64, json, sys
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async def main(url, path):
    address = url + "/gradio_api/mcp/"
    async with streamablehttp_client(address) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        picture = "data:image/jpeg;base64," + base64.b64encode(open(path, "rb").read()).decode()
        answer = await session.call_tool("predict", {"picture": picture})
        said = {tool.name: [tool.description, tool.inputSchema["properties"]] for tool in tools}
        print(json.dumps([said, answer.isError, answer.content[0].text]))

asyncio.run(main(*sys.argv[1:]))
"""


def test_without_the_extra_the_app_says_what_to_install(repository, child_environment):
    code = "import sys; sys.modules['mcp'] = None; from space.server import main; main()"
    environment = child_environment | {"GRADIO_MCP_SERVER": "1", "FER_DETECTOR": "haar"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    assert "GRADIO_MCP_SERVER needs Gradio's extra for MCP: pip install 'gradio[mcp]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_mcp_client_calls_predict(repository, child_environment, portrait, tmp_path):
    """In an environment of its own, for gradio[mcp] pins an older pydantic: `make test` makes it."""
    python = os.environ.get("FER_MCP_PYTHON", str(repository / ".venv-mcp" / "bin" / "python"))
    assert shutil.which(python), f"no {python}: `make .venv-mcp/.done` makes it, or FER_MCP_PYTHON names another"
    server = Server(tmp_path, python, GRADIO_MCP_SERVER="1")
    try:
        command = [python, "-c", CLIENT, server.url, portrait]
        output = subprocess.check_output(command, env=child_environment, timeout=120)
    finally:
        server.stop()
    tools, is_error, answer = json.loads(output.splitlines()[-1])
    assert tools.keys() == {"predict", "predict_video"}
    description, arguments = tools["predict"]
    assert description.startswith("Find the faces of a picture")
    assert "20 MB" in arguments["picture"]["description"]
    assert not is_error
    assert "'emotion': 'neutral'" in answer and "'detector': 'Haar cascade'" in answer
