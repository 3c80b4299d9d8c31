/** Some of the random Dockerfiles, compose files and archives; `node scripts/differential.mjs containers` tries 10,000 of each. */
import { expect, it } from 'vitest';
import { lab, sh } from '../unit/containers/docker-lab.ts';
import { chanceOf, onMachine, randomArchive, randomCompose, randomDockerfile, tryArchive, tryCompose, tryDockerfile } from './random-containers.ts';

const COUNT = 400;
const refusals = (count: number, one: (n: number) => boolean): number => Array.from({ length: count }, (_, n) => one(n)).filter(Boolean).length;

it('Dockerfiles are refused or understood', () => {
  const refused = refusals(COUNT, (n) => tryDockerfile(randomDockerfile(chanceOf(n))));
  expect(refused).toBeGreaterThan(COUNT / 5);
  expect(refused).toBeLessThan(COUNT);
});

it('compose files are refused or understood', () => {
  const refused = refusals(COUNT, (n) => tryCompose(randomCompose(chanceOf(n))));
  expect(refused).toBeGreaterThan(COUNT / 5);
  expect(refused).toBeLessThan(COUNT);
});

it('archives are refused or read', () => {
  const refused = refusals(100, (n) => tryArchive(randomArchive(chanceOf(n))));
  expect(refused).toBeGreaterThan(20);
  expect(refused).toBeLessThan(100);
});

it('a machine that is given them goes on', () => {
  const m = lab({ images: ['busybox'] });
  sh(m, 'mkdir -p /f/sub; cd /f; echo a > a.txt; echo f > sub/f; ln -s ../.. l');
  for (let n = 0; n < 6; n++) onMachine(m, n);
});
