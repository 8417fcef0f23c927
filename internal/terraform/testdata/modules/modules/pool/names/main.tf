variable "prefix" {}
variable "number" {}
output "name" { value = "${var.prefix}-${var.number}" }
