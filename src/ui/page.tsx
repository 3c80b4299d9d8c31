import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import './style/tokens.css';
import './style/base.css';
import { App } from './frame/app.tsx';
import { begin } from './session/session.ts';

createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
void begin();
