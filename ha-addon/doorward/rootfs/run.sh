#!/bin/sh
# Does what needs root, gives it up and starts Doorward, which reads the app's options and asks the Supervisor itself.
# Not here: settings. Those that are always the same in the app stand in the Dockerfile.
set -eu

folder=/config
mkdir -p "$folder/faces"
# A doorward.toml is found in the working directory, and written there when somebody changes a setting from afar.
cd "$folder"

# The cameras' group has another number on Home Assistant OS than in this image: take it from the devices.
groups=$(id -G doorward | tr ' ' ',')
for device in /dev/video*; do
    [ ! -e "$device" ] || groups=$groups,$(stat -c %g "$device")
done
# The Supervisor writes the options, and the Samba app photographs, as root.
chown doorward: /data /data/options.json "$folder"
chown -R doorward: "$folder/faces"
exec setpriv --reuid doorward --regid doorward --groups "$groups" --no-new-privs doorward app
