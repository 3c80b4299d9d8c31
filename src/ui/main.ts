/** Starts the engine, which has most to do before a first prompt; the page and its terminal are fetched beside it. */
import { startWorker } from './bridge/start-worker.ts';

startWorker();
void import('./page.tsx');
void import('./terminal/screen.ts');
