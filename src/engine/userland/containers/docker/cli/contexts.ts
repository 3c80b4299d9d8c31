/** docker context as far as there is one: the default, which DOCKER_HOST sets. No context can be made. Source: docker/cli command/context. */
import { complain, print } from '../../../lib/io.ts';
import { hexOf } from '../../oci.ts';
import { type Client, Stop } from './client.ts';
import type { Command } from './command.ts';
import { inspectAll, Missing } from './objects.ts';
import { printRows } from './table.ts';
import { configDir } from './login.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;

/** Where one of this name would lie. Throws Stop. */
function absent(client: Client, name: string): Stop {
  if (!NAME.test(name)) return new Stop(`context name ${JSON.stringify(name)} is invalid, names are validated against regexp ${JSON.stringify(NAME.source)}`);
  return new Stop(`context ${JSON.stringify(name)}: context not found: open ${configDir(client)}/contexts/meta/${hexOf(name)}/meta.json: no such file or directory`);
}

export const contextLs: Command = {
  names: ['context ls', 'context list'],
  usage: '[OPTIONS]',
  short: 'List contexts',
  args: [0, 0],
  options: '\n      --format string   Format output using a custom template\n  -q, --quiet           Only show context names\n',
  *run(client, flags) {
    if (flags.has('quiet')) {
      yield* print('default\n');
      return 0;
    }
    const rows = [{ Name: 'default *', Description: 'Current DOCKER_HOST based configuration', DockerEndpoint: client.host, Error: '' }];
    yield* printRows(flags.get('format') ?? '', 'Name Description DockerEndpoint Error', { Name: 'NAME', Description: 'DESCRIPTION', DockerEndpoint: 'DOCKER ENDPOINT', Error: 'ERROR' }, rows, 'formatter.clientContextContext');
    return 0;
  },
};

export const contextShow: Command = {
  names: ['context show'],
  usage: '',
  short: 'Print the name of the current context',
  args: [0, 0],
  options: '',
  *run() {
    yield* print('default\n');
    return 0;
  },
};

export const contextInspect: Command = {
  names: ['context inspect'],
  usage: '[OPTIONS] [CONTEXT] [CONTEXT...]',
  short: 'Display detailed information on one or more contexts',
  args: [0, -1],
  options: `
  -f, --format string   Format output using a custom template:
                        'json':             Print in JSON format
                        'TEMPLATE':         Print output using the given Go template.
                        Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates
`,
  *run(client, flags) {
    return yield* inspectAll(flags.args.length > 0 ? flags.args : ['default'], flags.get('format') ?? '', function* (name) {
      yield* [];
      if (name !== 'default') throw new Missing(absent(client, name).message);
      const memory = '<IN MEMORY>';
      return { Name: 'default', Metadata: {}, Endpoints: { docker: { Host: client.host, SkipTLSVerify: false } }, TLSMaterial: {}, Storage: { MetadataPath: memory, TLSPath: memory } };
    });
  },
};

export const contextUse: Command = {
  names: ['context use'],
  usage: 'CONTEXT',
  short: 'Set the current docker context',
  args: [1, 1],
  options: '',
  *run(client, flags) {
    const name = flags.args[0]!;
    if (name !== 'default') throw absent(client, name);
    yield* print(`${name}\n`);
    yield* complain(`Current context is now ${JSON.stringify(name)}\n`);
    return 0;
  },
};
