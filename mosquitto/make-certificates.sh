#!/bin/sh
# Makes certificates for TLS between Mosquitto and its clients: an authority of your own, made at the first call and
# kept in the same folder, and what it signs. Keys are readable by their owner only. Needs openssl 1.1.1 or newer.
# Not here: where the files go; see README.md beside this file.
set -eu
umask 077

authority_days=3650
days=1825

usage() {
    cat >&2 <<'TEXT'
usage: make-certificates.sh FOLDER server NAME...    server.crt, server.key for a broker; NAME is each name and address
                                                     under which clients reach it, such as broker.lan 192.168.1.10
       make-certificates.sh FOLDER client USER       USER.crt, USER.key for a client; USER is its name in the ACL file
TEXT
    exit 2
}
die() {
    printf 'make-certificates.sh: %s\n' "$*" >&2
    exit 1
}
# quietly COMMAND...: shows what it says only if it fails.
quietly() {
    "$@" >"$scratch/said" 2>&1 || die "$1 failed: $(cat "$scratch/said")"
}

[ $# -ge 3 ] || usage
folder=$1 kind=$2
shift 2
case $kind in
server)
    file=server subject=$1 usage=serverAuth
    names=
    for name; do
        case $name in
        *[!A-Za-z0-9.:-]* | '' | -* | .*) die "\"$name\" is no host name and no IP address" ;;
        *:*) names=$names,IP:$name ;;
        *[!0-9.]*) names=$names,DNS:$name ;;
        *) names=$names,IP:$name ;;
        esac
    done
    ;;
client)
    [ $# = 1 ] || die "one client at a time: $* are $# names"
    # The name becomes a user and a level of topics.
    case $1 in
    *[!A-Za-z0-9_-]* | '' | -*) die "\"$1\" cannot be a user: only letters, digits, _ and - are allowed" ;;
    server | ca) die "\"$1\" is the name of another file here: choose another user" ;;
    esac
    file=$1 subject=$1 usage=clientAuth names=
    ;;
*) usage ;;
esac
[ "${#subject}" -le 64 ] || die "\"$subject\" is longer than the 64 characters that a certificate allows"
command -v openssl >/dev/null || die "openssl is missing; on Debian: sudo apt-get install openssl"

mkdir -p "$folder" || die "the folder $folder cannot be made"
cd "$folder"
for made in "$file.crt" "$file.key"; do
    [ ! -e "$made" ] || die "$folder/$made is there already; move it away to make it anew"
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

new_key() {
    quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
    chmod 600 "$1"
}

if [ ! -e ca.key ] && [ ! -e ca.crt ]; then
    cat >"$scratch/ca.conf" <<'TEXT'
[req]
distinguished_name = subject
x509_extensions = authority
prompt = no
[subject]
CN = Doorward home authority
[authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
TEXT
    new_key ca.key
    quietly openssl req -x509 -new -key ca.key -days "$authority_days" -config "$scratch/ca.conf" -out ca.crt
    chmod 644 ca.crt
    echo "$folder/ca.crt: a new authority, good for $authority_days days. Every client and broker gets this file."
    echo "$folder/ca.key: whoever has it can make certificates. Keep it off the broker."
fi
[ -r ca.key ] || die "$folder/ca.key is missing or cannot be read: it has to lie beside ca.crt to sign with"
[ -r ca.crt ] || die "$folder/ca.crt is missing or cannot be read: it has to lie beside ca.key"

{
    printf '[signed]\nbasicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature\n'
    printf 'extendedKeyUsage = %s\n' "$usage"
    [ -z "$names" ] || printf 'subjectAltName = %s\n' "${names#,}"
} >"$scratch/signed.conf"
new_key "$scratch/key"
quietly openssl req -new -key "$scratch/key" -subj "/CN=$subject" -out "$scratch/request"
quietly openssl x509 -req -in "$scratch/request" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
    -days "$days" -sha256 -extfile "$scratch/signed.conf" -extensions signed -out "$scratch/certificate"
# Both or neither: a key without a certificate would stand in the way of the next call.
mv "$scratch/key" "$file.key"
mv "$scratch/certificate" "$file.crt"
chmod 644 "$file.crt"
echo "$folder/$file.crt and $file.key: for ${subject}, good for $days days."
