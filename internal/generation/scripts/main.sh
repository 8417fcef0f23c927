main() {
  [ $# -gt 0 ] || die 64 "no verb"
  called=$1
  shift
  case $called in
    look | lock | unlock | root | arm | start | activate | disarm | status | units | told | commit_start | commit | \
      return_start | guard | deadline | settle | go_back | records | present | hold | release | hostkey_prepare | hostkey_activate | \
      keys_look | keys_put | keys_now)
      "$called" "$@"
      ;;
    *) die 64 "unknown verb $called" ;;
  esac
}

main "$@" </dev/null
