/**
 * Measures the code that a browser downloads to complete without a server: the page's chunk, the worker with its
 * chunks, and the engine. Fails above 40 kB (gzip).
 *
 *     make wheel; node research/benchmarks/browser/size.mjs
 */

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const LIMIT = 40_000;
const HERE = path.dirname(fileURLToPath(import.meta.url));
const BUILT = path.resolve(HERE, '../../../jupyter_turbopilot/labextension/static');

const names = readdirSync(BUILT);
const read = name => readFileSync(path.join(BUILT, name));
const chunk = id => names.find(name => name.startsWith(`${id}.`) && name.endsWith('.js'));
const found = (pattern, name) => pattern.exec(read(name).toString());

const page = names.find(name => name.endsWith('.js') && found(/localClient:\(\)=>/, name));
const worker = chunk(found(/new Worker\(new URL\(\w+\.p\+\w+\.u\("?(\w+)"?\)/, page)[1]);
const loaded = found(/\.O\((?:void 0|\w),\["([^\]]*)"\]/, worker)?.[1].split('","') ?? [];
const parts = {
  'the page': [page],
  'the worker': [worker, ...loaded.map(chunk)],
  'the engine': names.filter(name => name.endsWith('.wasm'))
};
let all = 0;
console.log('| part | size | gzip |\n| --- | --- | --- |');
for (const [what, files] of Object.entries(parts)) {
  const size = files.reduce((sum, name) => sum + read(name).length, 0);
  const packed = files.reduce((sum, name) => sum + gzipSync(read(name), { level: 9 }).length, 0);
  console.log(`| ${what} | ${size} | ${packed} |`);
  all += packed;
}
console.log(`| total | | ${all} |`);
process.exitCode = Number(all > LIMIT);
