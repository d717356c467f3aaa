"""Says hello from Python and records one step, with nothing but the standard library."""
import json
import os
import sys
import urllib.request

_script_args = ["--name:str:lab", "--steps:bool:true"]


def argument(name, default):
    """Value of --name, or the default; --host and --device are accepted and not used."""
    words = sys.argv[1:]
    return words[words.index(name) + 1] if name in words[:-1] else default


def call_agent(path, body):
    """One call of the run API: the address and the key of the run are in the environment."""
    request = urllib.request.Request(
        os.environ["VPT_AGENT_URL"] + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["VPT_RUN_KEY"]},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def main():
    print(f"Hello, {argument('--name', 'lab')}, from Python {sys.version.split()[0]}")
    if argument("--steps", "true") == "true" and "VPT_AGENT_URL" in os.environ:
        step = call_agent("/run/steps", {"name": "Say hello"})
        call_agent(f"/run/steps/{step['position']}/finish", {"outcome": "passed", "screenshot": False})
        print(f"Step {step['position']} is recorded")
    print("SCRIPT_SUCCESS:true")


if __name__ == "__main__":
    main()
