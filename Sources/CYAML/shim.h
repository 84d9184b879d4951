// libyaml from Debian's libyaml-dev. Nothing is added to it here.
#include <yaml.h>
