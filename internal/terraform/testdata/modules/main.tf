# Modules in modules, with count and for_each, inputs and outputs.
module "network" {
  source = "./modules/network"
  name   = "core"
  cidr   = "10.20.0.0/16"
}

module "pool" {
  source   = "./modules/pool"
  for_each = { small = 1, large = 2 }

  name       = each.key
  size       = each.value
  network_id = module.network.id
  keys       = [module.network.key]
}

module "extra" {
  count      = 1
  source     = "./modules/pool"
  name       = "extra"
  size       = 1
  network_id = module.network.id
  keys       = [module.network.key]
  type       = "cax11"
}

resource "hcloud_volume" "scratch" {
  name      = "scratch"
  size      = 10
  server_id = module.pool["large"].ids[1]
}

resource "hcloud_volume" "more" {
  name      = "more"
  size      = 10
  server_id = module.extra[0].ids[0]
  delete_protection = true
}

module "registry" {
  source  = "terraform-hcloud-modules/kube/hcloud"
  version = "2.0.0"
}
