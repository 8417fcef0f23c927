resource "hcloud_network" "n" {
  count    = -1
  name     = each.key
  ip_range = "10.0.0.0/16"
}

resource "hcloud_network" "m" {
  for_each = ["a", "b"]
  name     = each.key
  ip_range = "10.0.0.0/16"
}

module "loop" {
  source = "./"
}

module "gone" {
  source = "./gone"
}
