/** docker build and what belongs to it, as far as they are there: no builder is modelled. */
import { statOf } from '../../../lib/files.ts';
import { print } from '../../../lib/io.ts';
import { Stop } from './client.ts';
import type { Command } from './command.ts';

export const build: Command = {
  names: ['build', 'image build', 'buildx build', 'builder build'], usage: '[OPTIONS] PATH | URL | -', short: 'Start a build', args: [0, -1],
  options: `
      --build-arg stringArray         Set build-time variables
  -f, --file string                   Name of the Dockerfile (default: "PATH/Dockerfile")
      --label stringArray             Set metadata for an image
      --no-cache                      Do not use cache when building the image
      --progress string               Set type of progress output ("auto", "plain", "tty", "rawjson"). Use plain to show container output (default "auto")
      --pull                          Always attempt to pull all referenced images
  -q, --quiet                         Suppress the build output and print image ID on success
      --rm                            Remove intermediate containers
  -t, --tag stringArray               Name and optionally a tag (format: "name:tag")
      --target string                 Set the target build stage to build
`,
  *run(_client, flags) {
    if (flags.args.length !== 1) {
      throw new Stop('ERROR: "docker buildx build" requires exactly 1 argument.\nSee \'docker buildx build --help\'.\n\nUsage:  docker buildx build [OPTIONS] PATH | URL | -\n\nStart a build');
    }
    const path = flags.args[0]!;
    if (path !== '-' && !/^(https?|git):/.test(path) && !(yield* statOf(path))) throw new Stop(`ERROR: unable to prepare context: path ${JSON.stringify(path)} not found`);
    throw new Stop('ERROR: not modelled: docker build');
  },
};

export const builder: readonly Command[] = [
  {
    names: ['buildx version'], usage: '', short: 'Show buildx version information', options: '', args: [0, 0],
    *run() {
      yield* print('github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n');
      return 0;
    },
  },
];
