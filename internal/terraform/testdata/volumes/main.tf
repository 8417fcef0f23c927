resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_server" "db" {
  name                     = "db"
  server_type              = "cx32"
  image                    = "debian-12"
  datacenter               = "fsn1-dc14"
  ssh_keys                 = [hcloud_ssh_key.k.id]
  keep_disk                = true
  shutdown_before_deletion = true
}

# Attached by the volume itself.
resource "hcloud_volume" "wal" {
  name      = "wal"
  size      = 10
  server_id = hcloud_server.db.id
  automount = true
  format    = "xfs"
}

# Attached by a resource of its own.
resource "hcloud_volume" "data" {
  name              = "data"
  size              = 100
  location          = hcloud_server.db.location
  format            = "ext4"
  delete_protection = true
}

resource "hcloud_volume_attachment" "data" {
  volume_id = hcloud_volume.data.id
  server_id = hcloud_server.db.id
  automount = false
}

# Attached to nothing.
resource "hcloud_volume" "spare" {
  name     = "spare"
  size     = 15
  location = "fsn1"
  labels   = { use = "spare" }
  lifecycle {
    prevent_destroy = true
  }
}

# Attached to what is not known.
resource "hcloud_volume" "lost" {
  name      = "lost"
  size      = 15
  server_id = 4711
}
