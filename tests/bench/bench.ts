/** `npm run bench [-- NAME…] [--json]`: each benchmark with its peers in the same run, medians; one object a line. */
import { canvas } from './canvas.ts';
import { cluster } from './cluster.ts';
import { containers } from './containers.ts';
import { cpu } from './cpu.ts';
import { machine } from './machine.ts';
import { page } from './page.ts';
import { replay } from './replay.ts';
import { views } from './views.ts';

const BENCHES: Record<string, () => Record<string, unknown> | Promise<Record<string, unknown>>> = { cpu, machine, replay, views, page, canvas, containers, cluster };

const words = process.argv.slice(2);
const json = words.includes('--json');
const names = words.filter((word) => !word.startsWith('--'));
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`bench: no benchmark '${unknown[0]}': ${Object.keys(BENCHES).join(', ')}`);
  process.exit(64);
}
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const result = await BENCHES[name]!();
  console.log(json ? JSON.stringify({ bench: name, ...result }) : `${name}\n${JSON.stringify(result, null, 2).replace(/^[{}]\n?|"/gm, '')}`);
}
process.exit(0);
