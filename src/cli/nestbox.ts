/** The headless tool: one subcommand a file, this is the list. Exit 64 for bad arguments, 70 for a fault of the engine. */
import { check } from './check.ts';
import { grade } from './grade.ts';
import { lab } from './lab.ts';
import { run } from './run.ts';
import { serve } from './serve.ts';
import { views } from './views.ts';
import { Usage } from './arguments.ts';

const COMMANDS: Record<string, { run: (args: string[]) => number | Promise<number>; help: string }> = {
  run: {
    run,
    help: 'run   [--scenario NAME|FILE] [--seed N] [--file NAME=PATH]… [--script FILE | < commands.sh]\n              [--show VIEW[:key=value,…]]… [--format text|json] [--until DURATION] [--real DURATION] [--record OUT] [--replay IN] [--hash] [--quiet]\n              ends at 10m of simulated time beyond the waits of the script (# wait 8m, sleep 480), or at --until; after 60s of real time, or --real',
  },
  check: { run: check, help: 'check LAB.md…            lab files are valid, solvable, and refuse their wrong answers' },
  grade: { run: grade, help: "grade DIR|FILE… [--csv]  replay learners' recordings: what they passed, when; forged or broken ones are named" },
  views: { run: views, help: 'views                    every view with its columns, units and one example row' },
  serve: { run: serve, help: 'serve [--port N]         the built lab on localhost' },
  lab: { run: lab, help: 'lab LAB.md [--solve]     one lab in the terminal, or its solution' },
};

export async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    console.log(`usage: nestbox COMMAND\n\n${Object.values(COMMANDS).map((c) => `  nestbox ${c.help}`).join('\n')}`);
    return name === undefined ? 64 : 0;
  }
  const command = COMMANDS[name];
  if (!command) {
    console.error(`nestbox: no command '${name}': ${Object.keys(COMMANDS).join(', ')}`);
    return 64;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    const usage = error instanceof Usage;
    console.error(`nestbox ${name}: ${usage ? error.message : `the engine failed: ${error instanceof Error ? error.stack : error}`}`);
    return usage ? 64 : 70;
  }
}
