# A host key that never leaves the host. Both verbs may be repeated.

key=/etc/ssh/ssh_host_ed25519_key

# hostkey_prepare: makes it, beside the one in use, and prints its public half.
hostkey_prepare() {
  tools /run/current-system
  mutex
  if ! ssh-keygen -y -P '' -f "$key.flotilla" >/dev/null 2>&1; then
    rm -f "$key.flotilla" "$key.flotilla.pub"
    ssh-keygen -q -t ed25519 -N '' -C flotilla -f "$key.flotilla" </dev/null || die 70 "ssh-keygen failed"
    sync "$key.flotilla" "$key.flotilla.pub"
  fi
  cat "$key.flotilla.pub" || die 70 "$key.flotilla.pub is missing"
}

# hostkey_activate: puts it in place, removes the throw-away ones and tells sshd.
hostkey_activate() {
  tools /run/current-system
  mutex
  if [ -f "$key.flotilla" ]; then
    chmod 600 "$key.flotilla" && mv -f "$key.flotilla" "$key" || die 73 "cannot write $key"
  fi
  if [ -f "$key.flotilla.pub" ]; then
    chmod 644 "$key.flotilla.pub" && mv -f "$key.flotilla.pub" "$key.pub" || die 73 "cannot write $key.pub"
  fi
  for kind in rsa ecdsa dsa; do
    rm -f "/etc/ssh/ssh_host_${kind}_key" "/etc/ssh/ssh_host_${kind}_key.pub"
  done
  sync /etc/ssh
  # With socket activation each login starts an sshd of its own.
  for unit in sshd.service ssh.service; do
    if systemctl -q is-active "$unit"; then
      systemctl reload-or-restart "$unit" || die 70 "$unit could not be reloaded"
      return
    fi
  done
}
