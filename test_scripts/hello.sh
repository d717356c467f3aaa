#!/bin/sh
# Says hello from a shell script; its verdict is the marker in the last line.
# _script_args = ["--name:str:lab"]
name=lab
while [ $# -gt 0 ]; do
  case "$1" in
    --name) name="$2"; shift ;;
  esac
  shift
done
echo "Hello, $name, from a shell on $(uname -s)"
echo "Device ${VPT_DEVICE_ID:-unknown} of host ${VPT_HOST_NAME:-unknown}"
echo "SCRIPT_SUCCESS:true"
