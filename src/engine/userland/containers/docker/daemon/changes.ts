/** --change of commit and import: instructions of a Dockerfile on a configuration. Source: moby builder/dockerfile (BuildFromConfig). */
import { bytes } from '../../../../sim/text.ts';
import type { ImageConfig } from '../../oci.ts';
import { configure, type Scope, workdir } from './buildconfig.ts';
import type { Built } from './buildstate.ts';
import { BadDockerfile, check, readDockerfile } from './dockerfile.ts';
import { Refused } from './state.ts';

type Config = ImageConfig['config'];

const ALLOWED = new Set(['CMD', 'ENTRYPOINT', 'HEALTHCHECK', 'ENV', 'EXPOSE', 'LABEL', 'ONBUILD', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR']);

/** The configuration after them; `changes` has one a line, null for none. Throws Refused. */
export function applyChanges(config: Config, changes: string | null): Config {
  if (changes === null) return config;
  try {
    return changed(config, changes);
  } catch (error) {
    if (!(error instanceof BadDockerfile)) throw error;
    throw new Refused(400, error.line === 0 ? 'file with no instructions' : error.message.replace(/^dockerfile parse error on line \d+: /, ''));
  }
}

function changed(config: Config, changes: string): Config {
  const { instructions, escape: mark } = readDockerfile(bytes(changes), '');
  for (const one of instructions) if (!ALLOWED.has(one.word)) throw new Refused(400, `${one.written} is not a valid change command`);
  instructions.forEach(check);
  const scope: Scope = { buildArgs: {}, globals: new Map(), classic: true, escape: mark };
  const built: Built = { config: { ...config }, layers: [], history: [], key: '', image: '', args: new Map() };
  for (const one of instructions) {
    if (one.word === 'WORKDIR') workdir(scope, built, one);
    else configure(scope, built, one);
  }
  return built.config;
}
