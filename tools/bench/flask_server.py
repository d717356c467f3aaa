"""Reference for the bench: a small threaded Flask server with the lab in memory, answering like the original did."""

import importlib
import logging
import os
import time

from flask import Flask, jsonify, request
from werkzeug.serving import WSGIRequestHandler

# Packages that the original loads before it serves, for a comparison of starts with those.
for name in os.environ.get("IMPORTS", "").split():
    importlib.import_module(name)

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
hosts = {}


@app.post("/server/system/register")
def register():
    body = request.get_json()
    host = dict(body, status="online", last_seen=time.time(), isLocked=False, lockedBy=None, lockedAt=None)
    hosts[body["host_name"]] = host
    return jsonify(status="success", message="Host registered successfully", host_name=body["host_name"], host_data=host)


@app.post("/server/system/ping")
def ping():
    body = request.get_json()
    host = hosts.get(body.get("host_name"))
    if host is None:
        return jsonify(status="not_registered", action="register"), 404
    host["last_seen"] = time.time()
    host["system_stats"] = body.get("system_stats") or {}
    return jsonify(status="success", message="Ping received successfully", server_time=time.time())


device_fields = ("device_id", "device_name", "device_model", "device_capabilities", "video_stream_path")


@app.get("/server/system/getAllHosts")
def get_all_hosts():
    shown = []
    for host in hosts.values():
        shown.append(
            {
                "host_name": host["host_name"],
                "host_url": host["host_url"],
                "host_port": host.get("host_port", 6109),
                "status": host["status"],
                "device_count": len(host["devices"]),
                "system_stats": {},
                "isLocked": False,
                "lockedBy": None,
                "lockedAt": None,
                "devices": [
                    dict({name: device.get(name) for name in device_fields}, has_running_deployment=False, isLocked=False, lockedBy=None, lockedAt=None, status="available")
                    for device in host["devices"]
                ],
            }
        )
    return jsonify(success=True, server_info={"server_name": "flask", "server_url": "http://127.0.0.1", "server_port": "0"}, hosts=shown)


@app.get("/health")
def health():
    return jsonify(success=True, status="ok", service="flask", message="The server is running")


if __name__ == "__main__":
    # Keep-alive, as browsers and hosts use it; without it the load generator measures connections, not answers.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), threaded=True)
