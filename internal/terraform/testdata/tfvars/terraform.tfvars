env     = "dev"
servers = ["a"]
