#!/bin/sh
# Writes the certificates that the tests use anew: a CA, a server with a second key pair, a client.
# They protect nothing. ./write.sh
set -e
cd "$(dirname "$0")"
NEW="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $NEW -days 36500 -subj "/CN=test CA of vtid" -keyout ca.key -out ca.pem \
    -addext keyUsage=critical,keyCertSign
for name in server renewed client; do
    openssl req -new $NEW -subj "/CN=$name" -keyout $name.key -out $name.csr
    printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 subjectKeyIdentifier=hash \
        authorityKeyIdentifier=keyid >extensions
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 \
        -extfile extensions -out $name.pem
done
openssl pkey -in server.key -aes256 -passout pass:secret -out locked.key
rm -f ca.key ca.srl extensions ./*.csr
