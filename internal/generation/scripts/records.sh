# records COUNT: the newest lines of the history, oldest first.
records() {
  tools /run/current-system
  [ ! -s "$lib/history" ] || tail -n "$1" "$lib/history"
}

# present SYSTEM...: those that are still valid in the store.
present() {
  tools /run/current-system
  for system; do
    if nix-store --check-validity "$system" 2>/dev/null; then echo "$system"; fi
  done
}

# hold TEXT: TEXT is a JSON object without its end.
hold() {
  tools /run/current-system
  mkdir -p "$lib" && put "$lib/hold" "$1,\"at\":\"$(now)\"}" || die 73 "cannot write $lib/hold"
}

release() {
  tools /run/current-system
  rm -f "$lib/hold"
  [ ! -d "$lib" ] || sync "$lib"
}
