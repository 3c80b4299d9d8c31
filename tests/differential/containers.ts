/** Random Dockerfiles, compose files and archives: `node scripts/differential.mjs containers [--count 10000] [--machine 300] [--from 0]`. */
import { lab, sh } from '../unit/containers/docker-lab.ts';
import { chanceOf, onMachine, randomArchive, randomCompose, randomDockerfile, tryArchive, tryCompose, tryDockerfile } from '../robust/random-containers.ts';
import { options } from './options.ts';

const o = options({ count: 10_000, machine: 300, from: 0 });
let wrong = 0;

function many(what: string, one: (n: number) => boolean): void {
  let refused = 0;
  for (let n = o.from; n < o.from + o.count; n++) {
    try {
      if (one(n)) refused++;
    } catch (error) {
      wrong++;
      console.log(`${what} ${n}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  console.log(`${what}: ${o.count} tried, ${refused} refused`);
}

many('Dockerfiles', (n) => tryDockerfile(randomDockerfile(chanceOf(n))));
many('compose files', (n) => tryCompose(randomCompose(chanceOf(n))));
many('archives', (n) => tryArchive(randomArchive(chanceOf(n))));

let failed = 0;
for (let n = o.from; n < o.from + o.machine; ) {
  const m = lab({ images: ['busybox'] });
  sh(m, 'mkdir -p /f/sub; cd /f; echo a > a.txt; echo f > sub/f; ln -s ../.. l');
  for (let i = 0; i < 50 && n < o.from + o.machine; i++, n++) {
    try {
      failed += onMachine(m, n).failed;
    } catch (error) {
      wrong++;
      console.log(`machine ${n}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      n++;
      break;
    }
  }
}
console.log(`machine: ${o.machine} of each given, ${failed} commands failed, ${wrong} wrong in all`);
process.exitCode = wrong > 0 ? 1 : 0;
