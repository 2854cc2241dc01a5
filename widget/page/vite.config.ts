/** How the page is built: static files with relative addresses, so that it can be served from any path. */
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    sourcemap: false,
    // The Matrix SDK alone is about 1 MB; its Olm part is a file of its own, fetched when needed.
    chunkSizeWarningLimit: 2000,
    assetsInlineLimit: 0,
    rollupOptions: {
      // "use client" in component libraries is for servers, which this page has none of.
      onwarn: (warning, warn) => warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning),
    },
  },
  // Its WebAssembly file lies beside it: bundled ahead of time in development, it would not be found.
  optimizeDeps: { exclude: ["@matrix-org/matrix-sdk-crypto-wasm"] },
});
