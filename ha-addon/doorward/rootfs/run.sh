#!/bin/sh
# Turns the app's options and the Supervisor's MQTT service into Doorward's environment, gives root up and starts it.
# Not here: any setting of its own; everything else is doorward.toml in the app's configuration folder.
set -eu

folder=/config
option() { jq -r --arg key "$1" '.[$key] // empty' /data/options.json; }

DOORWARD__LOG__LEVEL=$(option log_level)
DOORWARD__FACES__FOLDER=$folder/faces
export DOORWARD__LOG__LEVEL DOORWARD__FACES__FOLDER
mkdir -p "$folder/faces"

if [ -f "$folder/doorward.toml" ]; then
    export DOORWARD_CONFIG="$folder/doorward.toml"
elif [ -n "$(option camera)" ]; then
    DOORWARD__CAMERAS__CAMERA__SOURCE=$(option camera)
    export DOORWARD__CAMERAS__CAMERA__SOURCE
fi

# The MQTT service, if an app provides one; without it the embedded broker runs. A doorward.toml that names a broker wins
# only where the Supervisor knows none, because the environment is the stronger layer.
if service=$(curl --silent --fail --max-time 10 -H "Authorization: Bearer ${SUPERVISOR_TOKEN-}" \
    http://supervisor/services/mqtt); then
    mqtt() { printf '%s' "$service" | jq -r --arg key "$1" '.data[$key] // empty'; }
    DOORWARD__MQTT__HOST=$(mqtt host)
    DOORWARD__MQTT__PORT=$(mqtt port)
    DOORWARD__MQTT__USERNAME=$(mqtt username)
    DOORWARD__MQTT__PASSWORD=$(mqtt password)
    DOORWARD__MQTT__TLS=$(mqtt ssl)
    export DOORWARD__MQTT__HOST DOORWARD__MQTT__PORT DOORWARD__MQTT__USERNAME DOORWARD__MQTT__PASSWORD DOORWARD__MQTT__TLS
else
    echo "No MQTT service from the Supervisor; the embedded broker is used unless doorward.toml names one." >&2
fi
unset SUPERVISOR_TOKEN HASSIO_TOKEN

# The cameras' group has another number on Home Assistant OS than in this image: take it from the devices.
groups=$(id -G doorward | tr ' ' ',')
for device in /dev/video*; do
    [ ! -e "$device" ] || groups=$groups,$(stat -c %g "$device")
done
chown doorward: /data "$folder/faces"
exec setpriv --reuid doorward --regid doorward --groups "$groups" --no-new-privs doorward run
