resource "hcloud_server" "web" {
  name        = "web"
  server_type = "cx22
  image       = "debian-12"
}
