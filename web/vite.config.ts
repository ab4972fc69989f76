import { defineConfig } from "vite";

// Addresses are relative: the server says in <base> where the portal stands.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    modulePreload: false,
    reportCompressedSize: false,
  },
});
