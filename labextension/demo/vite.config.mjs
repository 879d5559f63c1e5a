/** Builds the page: hashed files, relative addresses, the models beside them, and what makes it work offline. */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { copyModels } from '../models/copy.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** Writes the models and the service worker, which keeps the files of this build. */
function offline() {
  return {
    name: 'offline',
    apply: 'build',
    writeBundle({ dir }, bundle) {
      copyModels(dir);
      const files = [
        './',
        'models.json',
        ...Object.keys(bundle).filter(name => name !== 'index.html')
      ].sort();
      const digest = createHash('sha256');
      for (const name of ['index.html', ...files.slice(1)]) {
        digest.update(`${name}\n`).update(readFileSync(path.join(dir, name)));
      }
      const version = digest.digest('hex').slice(0, 16);
      const source = readFileSync(path.join(HERE, 'service-worker.js'), 'utf8');
      writeFileSync(
        path.join(dir, 'service-worker.js'),
        `const VERSION = '${version}';\nconst FILES = ${JSON.stringify(files)};\n${source}`
      );
    }
  };
}

export default defineConfig({
  root: HERE,
  base: './',
  publicDir: false,
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }
  },
  worker: { format: 'es' },
  plugins: [offline()]
});
