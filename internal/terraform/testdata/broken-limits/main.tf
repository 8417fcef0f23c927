locals {
  s0 = "0123456789"
  s1 = join("", [for i in range(100) : local.s0])
  s2 = join("", [for i in range(100) : local.s1])
  s3 = join("", [for i in range(100) : local.s2])
}

resource "hcloud_server" "many" {
  count = 100000
  name  = "many-${count.index}"
}

resource "hcloud_ssh_key" "long" {
  name       = "long"
  public_key = [for a in range(1000) : [for b in range(1000) : [for c in range(1000) : local.s3]]]
}
