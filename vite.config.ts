import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

/** What the built page may do: its own files, WebAssembly, nothing else. Styles are inline too, for xterm's rules. */
const POLICY = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
  "font-src 'self'", "connect-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'",
].join('; ');

const policy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [{ tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' }],
};

/** The page's own part is fetched with the first script, not after it: what that imports later is named in the head. */
const ahead: Plugin = {
  name: 'ahead',
  apply: 'build',
  transformIndexHtml: (_html, { chunk, bundle }) =>
    (chunk?.dynamicImports ?? []).flatMap((file) => {
      const later = bundle?.[file];
      const styles = later?.type === 'chunk' ? [...(later.viteMetadata?.importedCss ?? [])] : [];
      return [{ rel: 'modulepreload', href: `./${file}` }, ...styles.map((style) => ({ rel: 'stylesheet', href: `./${style}` }))].map((attrs) => ({ tag: 'link', attrs, injectTo: 'head' as const }));
    }),
};

/** After the first visit the lab opens without a network: everything it needs is kept by a service worker. */
const offline = VitePWA({
  registerType: 'autoUpdate', injectRegister: 'script', manifest: false,
  workbox: { globPatterns: ['**/*.{html,js,css,wasm,img,svg,woff2,webmanifest}'], maximumFileSizeToCacheInBytes: 8_000_000, navigateFallback: 'index.html', cleanupOutdatedCaches: true },
});

export default defineConfig({
  base: './',
  plugins: [react(), policy, ahead, offline],
  worker: { format: 'es' as const },
  build: { target: 'es2022', assetsInlineLimit: 0, outDir: 'dist', chunkSizeWarningLimit: 1500 },
});
