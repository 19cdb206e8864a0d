# SPDX-License-Identifier: GPL-2.0-or-later
# s3vtl-setup.sh: at root's login in a container that is not set up yet, the questions.
if [ "$(id -u)" -eq 0 ] && [ -t 0 ] && [ ! -e /etc/s3vtl/s3vtl.conf ]; then
    echo "This tape library is not set up yet."
    s3vtl setup || echo "Once more: s3vtl setup"
fi
