{ ... }:
{
  deployment.tags = [ "app" ];
}
