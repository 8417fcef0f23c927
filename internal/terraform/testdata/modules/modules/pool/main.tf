variable "name" { type = string }
variable "size" { type = number }
variable "network_id" {}
variable "keys" { type = list(string) }
variable "type" {
  type    = string
  default = "cx22"
}

module "names" {
  source = "./names"
  prefix = var.name
  count  = var.size
  number = count.index
}

resource "hcloud_server" "node" {
  count       = var.size
  name        = module.names[count.index].name
  server_type = var.type
  image       = "debian-12"
  location    = "nbg1"
  ssh_keys    = var.keys
  user_data   = templatefile("${path.module}/cloud-init.yaml.tftpl", { name = module.names[count.index].name, packages = ["curl", "git"] })
  network { network_id = tonumber(var.network_id) }
}

output "ids" { value = hcloud_server.node.*.id }
