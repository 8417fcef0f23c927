variable "target_host" {
  type = string
}

variable "ssh_user" {
  default = "root"
}

variable "ssh_timeout" {
  default = "10m"
}

resource "null_resource" "nixos_install" {
  connection {
    type    = "ssh"
    user    = var.ssh_user
    host    = var.target_host
    timeout = var.ssh_timeout
  }

  provisioner "remote-exec" {
    inline = [
      "curl https://raw.githubusercontent.com/elitak/nixos-infect/master/nixos-infect | PROVIDER=hetznercloud NIX_CHANNEL=nixos-24.11 bash 2>&1 | tee /tmp/infect.log",
    ]
  }
}
