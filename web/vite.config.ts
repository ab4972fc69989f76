import { defineConfig } from "vite";

// Addresses are relative: the server says in <base> where the portal stands.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    // Browsers that know light-dark(): rewritten for older ones it would follow the system alone, not the switch.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: false,
    reportCompressedSize: false,
  },
});
