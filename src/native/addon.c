// The addon's table of functions; native.ts says what each does.

#include "addon.h"

static const Binding *const tables[] = {
    path_bindings, at_bindings, xattr_bindings, scan_bindings, remove_bindings, mount_bindings,
};

static napi_value initialize(napi_env env, napi_value exports) {
  for (size_t table = 0; table < sizeof tables / sizeof *tables; table++) {
    for (const Binding *binding = tables[table]; binding->name != NULL; binding++) {
      napi_value function;
      if (napi_create_function(env, binding->name, NAPI_AUTO_LENGTH, binding->callback, NULL, &function) != napi_ok)
        return NULL;
      if (napi_set_named_property(env, exports, binding->name, function) != napi_ok) return NULL;
    }
  }
  return exports;
}

NAPI_MODULE(kauri, initialize)
