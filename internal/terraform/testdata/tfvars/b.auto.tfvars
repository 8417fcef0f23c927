env  = "prod"
type = "cx32"
