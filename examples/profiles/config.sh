#!/bin/sh
# Runs for both images; kiwi_profiles says which one it is.
set -e
echo "profiles: $kiwi_profiles" >> /etc/greeting
