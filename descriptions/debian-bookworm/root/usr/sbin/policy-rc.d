#!/bin/sh
# Packages that are installed in a container must not start their services.
exit 101
