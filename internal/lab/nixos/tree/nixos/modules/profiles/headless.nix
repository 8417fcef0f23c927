# Exists so that configurations of real servers can import it. A container has
# no hardware to configure.
{ }
