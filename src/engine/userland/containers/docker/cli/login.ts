/** docker login and logout: the daemon asks the registry, the words are kept in ~/.docker/config.json. Source: docker/cli command/registry/login.go, logout.go. */
import { sys } from '../../../../kernel/sys.ts';
import { bytes, text, toBase64 } from '../../../../sim/text.ts';
import { attempt, mkdirAll, readJson, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { unseen } from '../../../lib/unseen.ts';
import { isTerminal } from './attach.ts';
import { type Any, api, type Client, Stop } from './client.ts';
import type { Command } from './command.ts';

const HUB = 'https://index.docker.io/v1/';
const HELLO = `Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't have a Docker ID, head over to https://hub.docker.com/ to create one.
You can log in with your password or a Personal Access Token (PAT). Using a limited-scope PAT grants better security and is required for organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/

`;
/** Where the client keeps what it knows: $DOCKER_CONFIG, or ~/.docker. */
export const configDir = (client: Client): string => client.env.DOCKER_CONFIG || `${client.env.HOME ?? ''}/.docker`;

function* saveConfig(path: string, config: Any): Call<void> {
  yield* writeFile(path, JSON.stringify(config, null, '\t'), 0o600);
}


/** A line of standard input; throws Stop at its end. */
function* ask(prompt: string): Call<string> {
  yield* print(prompt);
  const line = text(yield* attempt(sys('read', 0, 4096), new Uint8Array(0)));
  if (line === '') throw new Stop('error while reading input: EOF');
  return line.replace(/\r?\n[\s\S]*$/, '').trim();
}

function* all(): Call<string> {
  let out = '';
  for (;;) {
    const data = yield* attempt(sys('read', 0, 4096), new Uint8Array(0));
    if (data.length === 0) return out.replace(/\r?\n$/, '');
    out += text(data);
  }
}

export const login: Command = {
  names: ['login'],
  usage: '[OPTIONS] [SERVER]',
  short: 'Log in to a registry.\nIf no server is specified, the default is defined by the daemon.',
  args: [0, 1],
  options: `
  -p, --password string   Password
      --password-stdin    Take the password from stdin
  -u, --username string   Username
`,
  *run(client, flags) {
    let user = flags.get('username') ?? '';
    let password = flags.get('password') ?? '';
    if (password !== '') {
      yield* complain('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
      if (flags.has('password-stdin')) throw new Stop('--password and --password-stdin are mutually exclusive');
    }
    if (flags.has('password-stdin')) {
      if (user === '') throw new Stop('Must provide --username with --password-stdin');
      password = yield* all();
    }
    const server = flags.args[0] ?? HUB;
    if (user === '' || password === '') {
      if (password === '' && !(yield* isTerminal(0))) throw new Stop('Error: Cannot perform an interactive login from a non TTY device');
      if (user === '') {
        if (server === HUB) yield* print(HELLO);
        user = yield* ask('Username: ');
      }
      if (password === '') {
        password = yield* unseen(ask('Password: '));
        yield* print('\n');
      }
      if (user === '' || password === '') throw new Stop(`Error: ${user === '' ? 'Non-null Username' : 'Password'} Required`);
    }
    const said: Any = yield* api(client, 'POST', '/auth', { body: { username: user, password, serveraddress: server } });
    const path = `${configDir(client)}/config.json`;
    const config: Any = (yield* readJson<Any>(path)) ?? {};
    config.auths = { ...config.auths, [server]: { auth: toBase64(bytes(`${user}:${password}`)) } };
    yield* mkdirAll(configDir(client), 0o700);
    yield* saveConfig(path, config);
    yield* complain(`WARNING! Your password will be stored unencrypted in ${path}.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/engine/reference/commandline/login/#credential-stores\n\n`);
    yield* print(`${said.Status}\n`);
    return 0;
  },
};

export const logout: Command = {
  names: ['logout'],
  usage: '[SERVER]',
  short: 'Log out from a registry.\nIf no server is specified, the default is defined by the daemon.',
  args: [0, 1],
  options: '',
  *run(client, flags) {
    const server = flags.args[0] ?? HUB;
    yield* print(`Removing login credentials for ${server}\n`);
    const path = `${configDir(client)}/config.json`;
    const config = yield* readJson<Any>(path);
    if (config?.auths?.[server]) {
      delete config.auths[server];
      yield* saveConfig(path, config);
    }
    return 0;
  },
};
