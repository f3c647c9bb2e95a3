'use strict';
(() => {
  const $ = id => document.getElementById(id);
  const percent = p => (100 * p).toFixed(p > 0 && p < 0.0995 || p >= 0.9995 && p < 1 ? 1 : 0) + ' %';
  const clock = s => Math.floor(s / 60) + ':' + (Math.floor(s * 10) / 10 % 60).toFixed(1).padStart(4, '0');
  const plural = (n, one, many) => n + ' ' + (n === 1 ? one : many);
  const isId = text => /^[0-9a-f]{32}$/.test(text || '');

  let limits = null, current = null, upload = null, result = null, cursor = -1, local = null, poll = 0;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function svg(name, attributes, ...children) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function show(id, text) {
    $(id).textContent = text;
    $(id).hidden = !text;
  }

  /** For screen readers: what changed, once. */
  function say(text) {
    if ($('say').textContent !== text) $('say').textContent = text;
  }

  // ---- talking to the server

  async function call(path, options) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error('The server does not answer. Is it still running?');
    }
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    let message = 'The server answered with an error (' + answer.status + ').';
    try {
      message = (await answer.json()).error.message;
    } catch { /* not one of ours */ }
    throw Object.assign(new Error(message), { status: answer.status });
  }

  async function health() {
    const facts = await call('/api/health');
    limits = facts.limits;
    const random = facts.model.backbone.startsWith('random') ? 'The backbone is random: fine for trying this out, no match for trained weights.' : '';
    show('note', [facts.note, random].filter(Boolean).join(' '));
    const busy = facts.queue.running + facts.queue.waiting;
    show('queue', busy ? plural(busy, 'video', 'videos') + ' at work' : '');
    $('limit').textContent = 'Up to ' + +(limits.upload_bytes / 1e6).toPrecision(3) + ' MB. It stays on this server and is deleted as soon as there is an answer.';
    $('facts').textContent = 'Model ' + facts.model.name + ' (' + facts.model.file + ', epoch ' + facts.model.epoch + ') · windows of ' + facts.window + ' s every ' + facts.stride + ' s · '
      + (facts.classes ? 'classes ' + facts.classes.join(', ') : 'threshold ' + facts.threshold.toFixed(3)) + ' · backbone: ' + facts.model.backbone + ' · ' + facts.device + ' · version ' + facts.version;
  }

  function send(file) {
    reset();
    local = file;
    show('error', '');
    if (limits && file.size > limits.upload_bytes) {
      return fail('“' + file.name + '” has ' + (file.size / 1e6).toFixed(1) + ' MB; at most ' + +(limits.upload_bytes / 1e6).toPrecision(3) + ' MB are taken.');
    }
    if (file.size === 0) return fail('“' + file.name + '” is empty.');
    working(file.name, 'Uploading …', 0);
    say('Uploading');
    const form = new FormData();
    form.append('video', file, file.name);
    const request = upload = new XMLHttpRequest();
    request.open('POST', '/api/videos');
    request.responseType = 'json';
    request.upload.onprogress = event => working(file.name, 'Uploading …', event.total ? event.loaded / event.total : null);
    request.onload = () => {
      upload = null;
      const answer = request.response;
      if (request.status !== 202 || !answer) return fail(answer && answer.error ? answer.error.message : 'The upload failed (' + request.status + ').');
      watch(answer.id);
    };
    request.onerror = () => fail('The upload broke off: the server is gone, or refused it.');
    request.send(form);
  }

  function watch(id) {
    current = id;
    history.replaceState(null, '', '?id=' + id);
    look(id);
  }

  async function look(id) {
    let job;
    try {
      job = await call('/api/videos/' + id);
    } catch (error) {
      return id === current && fail(error.message);
    }
    if (id !== current) return;
    if (job.state === 'done') {
      $('job').hidden = true;
      present(job);
    } else if (job.state === 'failed') {
      fail(job.name + ': ' + job.error.message);
    } else {
      const length = $('player').duration;
      say(job.state === 'queued' ? 'Waiting' : 'Looking at the video');
      if (job.state === 'queued') working(job.name, job.position === 1 ? 'Waiting: next in line' : 'Waiting: number ' + job.position + ' in line', null);
      else working(job.name, 'Looking at it: ' + job.progress_seconds.toFixed(1) + (length > 0 ? ' of ' + length.toFixed(1) : '') + ' s of video done', length > 0 ? Math.min(1, job.progress_seconds / length) : null);
      poll = setTimeout(look, 500, id);
    }
  }

  // ---- states of the page

  function working(name, text, share) {
    document.body.classList.add('small');
    $('job').hidden = false;
    $('job-name').textContent = name;
    $('job-state').textContent = text;
    if (share === null) $('job-progress').removeAttribute('value');
    else $('job-progress').value = share;
    if (local && !$('player').src) {
      $('player').src = URL.createObjectURL(local);
    }
  }

  function fail(message) {
    reset();
    show('error', message);
  }

  function reset() {
    clearTimeout(poll);
    if (upload) {
      upload.onerror = upload.onload = null;
      upload.abort();
    }
    if ($('player').src) {
      URL.revokeObjectURL($('player').src);
      $('player').removeAttribute('src');
    }
    upload = current = result = local = null;
    $('player').hidden = $('job').hidden = $('result').hidden = true;
    document.body.classList.remove('small');
    document.title = 'Violence in videos – CudaTrainer';
    history.replaceState(null, '', location.pathname);
  }

  async function remove() {
    const id = current;
    reset();
    show('error', '');
    if (id) {
      try {
        await call('/api/videos/' + id, { method: 'DELETE' });
      } catch (error) {
        show('error', error.message);
      }
    }
    $('file').focus();
  }

  // ---- the answer

  function present(job) {
    result = job.result;
    document.body.classList.add('small');
    $('result').hidden = false;
    // A model of other classes than violent and nonviolent has no threshold: each window is called by its likeliest class.
    const classes = result.probabilities, score = classes ? classes[result.label] : result.violent;
    const isViolent = !classes && result.violent >= result.threshold, windows = result.windows, length = result.video.duration;
    $('result').classList.toggle('violent', isViolent);
    $('name').textContent = job.name;
    $('violent').textContent = percent(score);
    $('label').textContent = result.label;
    document.title = percent(score) + ' ' + result.label + ' – ' + job.name;
    $('summary').textContent = classes
      ? 'The mean of ' + plural(windows.length, 'window', 'windows') + ' in ' + clock(length) + ' of video: ' + Object.entries(classes).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name, p]) => name + ' ' + percent(p)).join(', ') + '.'
      : 'The highest of ' + plural(windows.length, 'window', 'windows') + ' in ' + clock(length) + ' of video; called violent from ' + percent(result.threshold) + ' on.';
    show('damage', result.error ? 'The file is damaged (' + result.status + '): ' + result.error + '. The answer is for what could be read.' : '');
    $('json').href = '/api/videos/' + job.id;
    $('player').hidden = !local || $('player').error !== null;

    $('chart-title').textContent = classes ? 'The likeliest class over time' : 'Probability of violence over time';
    $('events-title').textContent = classes ? 'Stretches' : 'Events';
    $('score-title').textContent = classes ? 'likeliest class' : 'p(violent)';
    $('no-events').hidden = result.events.length > 0;
    $('events').replaceChildren(...result.events.map(event => {
      const button = element('button', { type: 'button' },
        element('strong', {}, clock(event.start) + ' – ' + clock(event.end)), element('span', {}, (classes ? event.label + ' ' : '') + 'up to ' + percent(event.peak) + ' at ' + clock(event.peak_time)));
      button.onclick = () => go(event.start, windowAt(event.peak_time));
      return element('li', {}, button);
    }));

    const heaviest = Math.max(...result.frames.map(frame => frame.attention || 0));
    $('frames-text').textContent = heaviest > 0
      ? 'What the model attends to most in the windows with the highest probability. The bar shows a frame’s share of its window’s attention.'
      : 'From the windows with the highest probability.';
    $('frames').replaceChildren(...result.frames.map(frame => {
      const text = element('div', {}, element('p', { class: 'row' }, element('strong', {}, clock(frame.time)), element('span', {}, classes ? called(windows[frame.window]) : percent(frame.violent))));
      if (frame.attention !== null) {
        text.append(
          svg('svg', { class: 'meter', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
            svg('rect', { width: 100, height: 6, rx: 3 }), svg('rect', { width: 100 * frame.attention / heaviest, height: 6, rx: 3 })),
          element('small', {}, 'attention ' + percent(frame.attention)));
      }
      const button = element('button', { type: 'button' },
        element('img', { src: frame.url, alt: 'Frame at ' + clock(frame.time), width: frame.width, height: frame.height }), text);
      button.onclick = () => go(frame.time, frame.window);
      return button;
    }));

    $('windows').replaceChildren(...windows.map(window => element('tr', {},
      element('td', {}, clock(window.start)), element('td', {}, clock(window.end)),
      element('td', window.smoothed >= result.threshold ? { class: 'high' } : {}, called(window)))));

    $('chart').setAttribute('aria-valuemax', windows.length - 1);
    draw();
    point(-1);
    legend();
    say(percent(score) + ' ' + result.label);
  }

  /** What a window is called, where there are other classes than violent and nonviolent, and how surely. */
  function called(window) {
    return (window.label ? window.label + ' ' : '') + percent(window.smoothed);
  }

  function legend() {
    const item = (mark, text) => element('li', {}, svg('svg', { viewBox: '0 0 18 10', 'aria-hidden': 'true' }, mark), text);
    const items = result.probabilities ? [item(svg('path', { class: 'line', d: 'M0 5H18' }), 'probability of the likeliest class')] : [
      item(svg('path', { class: 'line', d: 'M0 5H18' }), 'p(violent), red from the threshold on'),
      item(svg('path', { class: 'threshold', d: 'M0 5H18' }), 'threshold ' + percent(result.threshold)),
    ];
    if (result.events.length && !result.probabilities) items.push(item(svg('g', { class: 'above' }, svg('rect', { class: 'area', width: 18, height: 10 })), 'event'));
    if (result.windows[0].attention) items.push(item(svg('rect', { class: 'attention', width: 18, height: 10, rx: 2, opacity: 0.7 }), 'attention: the darker, the more the model looks there'));
    $('legend').replaceChildren(...items);
  }

  // ---- the chart

  /** Where window i begins to speak; for their number, the end. */
  function boundary(i) {
    const windows = result.windows, centre = w => (w.start + w.end) / 2;
    return i === 0 ? windows[0].start : i === windows.length ? windows[i - 1].end : (centre(windows[i - 1]) + centre(windows[i])) / 2;
  }

  function windowAt(time) {
    let low = 0, high = result.windows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (boundary(middle) <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  let plot = null;

  function draw() {
    const windows = result.windows, end = result.video.duration, lane = windows[0].attention ? 10 : 0;
    const width = Math.max(260, $('chart').clientWidth), height = (width < 500 ? 230 : 280) + lane;
    const left = 44, right = width - 10, top = 12, bottom = height - 30 - (lane ? lane + 8 : 0);
    const x = time => left + (right - left) * time / end, y = p => bottom - (bottom - top) * p;
    const round = value => value.toFixed(1);
    plot = { x, y, left, right, end };

    const root = svg('svg', { viewBox: '0 0 ' + width + ' ' + height, height, 'aria-hidden': 'true' });
    for (const p of [0, 0.25, 0.5, 0.75, 1]) {
      root.append(svg('line', { class: 'grid', x1: left, x2: right, y1: round(y(p)), y2: round(y(p)) }), svg('text', { x: left - 8, y: round(y(p) + 4), 'text-anchor': 'end' }, 100 * p + ' %'));
    }
    for (const event of result.events) {
      if (!result.probabilities) root.append(svg('rect', { class: 'event', x: round(x(event.start)), y: top, width: round(x(event.end) - x(event.start)), height: bottom - top }));
      for (const time of [event.start, event.end]) root.append(svg('line', { class: 'edge', x1: round(x(time)), x2: round(x(time)), y1: top, y2: bottom }));
    }

    let line = '';
    windows.forEach((window, i) => {
      line += (i ? 'L' : 'M') + round(x(boundary(i))) + ' ' + round(y(window.smoothed)) + 'H' + round(x(boundary(i + 1)));
    });
    const area = line + 'V' + bottom + 'H' + round(x(boundary(0))) + 'Z', limit = result.probabilities ? top : y(result.threshold);
    root.append(svg('defs', {},
      svg('clipPath', { id: 'clip-above' }, svg('rect', { x: 0, y: 0, width, height: round(limit + 0.5) })),
      svg('clipPath', { id: 'clip-below' }, svg('rect', { x: 0, y: round(limit + 0.5), width, height }))));
    for (const side of ['below', 'above']) {
      root.append(svg('g', { class: side, 'clip-path': 'url(#clip-' + side + ')' }, svg('path', { class: 'area', d: area }), svg('path', { class: 'line', d: line })));
    }
    if (!result.probabilities) root.append(svg('line', { class: 'threshold', x1: left, x2: right, y1: round(limit), y2: round(limit) }));

    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find(s => (right - left) * s / end >= 64) || 7200;
    for (let i = 0; i * step <= end * 1.0001; i++) {
      const at = i * step, isLast = right - x(at) < 20;
      root.append(svg('text', { x: round(x(at)), y: height - 8, 'text-anchor': isLast ? 'end' : 'middle' }, step < 1 ? at.toFixed(1) + ' s' : clock(at).replace(/\.0$/, '')));
    }
    if (lane) root.append(...attention(x, left, right, end, bottom + 8, lane));

    root.append(
      svg('line', { id: 'playhead', class: 'playhead', y1: top, y2: bottom, visibility: 'hidden' }),
      svg('line', { id: 'cursor', class: 'cursor', y1: top, y2: bottom, visibility: 'hidden' }),
      svg('circle', { id: 'dot', class: 'dot', r: 4.5, visibility: 'hidden' }));
    $('chart').replaceChildren(root);
  }

  /** The attention of all windows over time, relative to even attention, as a lane of cells. */
  function attention(x, left, right, end, top, height) {
    const cells = Math.min(240, Math.floor((right - left) / 3)), sums = new Float64Array(cells), weights = new Float64Array(cells);
    for (const window of result.windows) {
      const count = window.attention.length, share = (window.end - window.start) / count;
      window.attention.forEach((value, i) => {
        const from = (window.start + i * share) / end * cells, to = Math.min(cells, from + share / end * cells);
        for (let cell = Math.floor(from); cell < to; cell++) {
          const overlap = Math.min(to, cell + 1) - Math.max(from, cell);
          sums[cell] += overlap * value * count;
          weights[cell] += overlap;
        }
      });
    }
    const values = Array.from(sums, (sum, i) => weights[i] > 0 ? sum / weights[i] : 0), most = Math.max(...values, 1e-9), edge = i => Math.round(left + (right - left) * i / cells);
    return [
      ...values.map((value, i) => svg('rect', { class: 'attention cell', x: edge(i), y: top, width: edge(i + 1) - edge(i), height, opacity: (0.9 * value / most).toFixed(3) })),
      svg('rect', { class: 'lane', x: left, y: top, width: right - left, height }),
    ];
  }

  /** Marks window i, or none. */
  function point(i) {
    if (!result || !$('cursor')) return;
    cursor = i;
    const window = result.windows[i];
    for (const id of ['cursor', 'dot']) $(id).setAttribute('visibility', window ? 'visible' : 'hidden');
    const chart = $('chart');
    if (!window) {
      $('readout').textContent = '';
      chart.setAttribute('aria-valuenow', 0);
      chart.setAttribute('aria-valuetext', 'No moment chosen; arrow keys choose one');
      return;
    }
    const middle = plot.x((boundary(i) + boundary(i + 1)) / 2).toFixed(1);
    $('cursor').setAttribute('x1', middle);
    $('cursor').setAttribute('x2', middle);
    $('dot').setAttribute('cx', middle);
    $('dot').setAttribute('cy', plot.y(window.smoothed).toFixed(1));
    $('readout').textContent = clock(window.start) + ' – ' + clock(window.end) + '  ' + called(window);
    chart.setAttribute('aria-valuenow', i);
    chart.setAttribute('aria-valuetext', clock(window.start) + ' to ' + clock(window.end) + ', ' + called(window));
  }

  function go(time, i) {
    if (!$('player').hidden) $('player').currentTime = time;
    point(i);
  }

  const timeOf = event => (event.clientX - $('chart').getBoundingClientRect().left - plot.left) / (plot.right - plot.left) * plot.end;

  $('chart').addEventListener('pointermove', event => result && point(windowAt(timeOf(event))));
  $('chart').addEventListener('pointerleave', () => point(-1));
  $('chart').addEventListener('click', event => result && go(Math.max(0, timeOf(event)), windowAt(timeOf(event))));
  $('chart').addEventListener('keydown', event => {
    const last = result.windows.length - 1;
    const moves = { ArrowRight: cursor + 1, ArrowUp: cursor + 1, ArrowLeft: Math.max(0, cursor - 1), ArrowDown: Math.max(0, cursor - 1), Home: 0, End: last, Enter: cursor, Escape: -1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const i = Math.min(last, moves[event.key]);
    if (event.key === 'Enter' && i >= 0) go(result.windows[i].start, i);
    else point(i);
  });
  new ResizeObserver(() => {
    if (result) {
      draw();
      point(cursor);
    }
  }).observe($('chart'));

  $('player').addEventListener('timeupdate', () => {
    if (!result || !$('playhead')) return;
    const at = plot.x(Math.min(plot.end, $('player').currentTime)).toFixed(1);
    $('playhead').setAttribute('x1', at);
    $('playhead').setAttribute('x2', at);
    $('playhead').setAttribute('visibility', 'visible');
  });
  $('player').addEventListener('error', () => { $('player').hidden = true; });

  // ---- choosing a video

  $('file').addEventListener('change', () => {
    if ($('file').files.length) send($('file').files[0]);
    $('file').value = '';
  });
  document.addEventListener('dragover', event => {
    event.preventDefault();
    $('drop').classList.add('over');
  });
  document.addEventListener('dragleave', event => {
    if (!event.relatedTarget) $('drop').classList.remove('over');
  });
  document.addEventListener('drop', event => {
    event.preventDefault();
    $('drop').classList.remove('over');
    const files = event.dataTransfer.files;
    if (files.length > 1) fail('One video at a time, please.');
    else if (files.length) send(files[0]);
  });
  $('cancel').addEventListener('click', remove);
  $('delete').addEventListener('click', remove);

  health().catch(error => show('error', error.message));
  const asked = new URLSearchParams(location.search).get('id');
  if (isId(asked)) watch(asked);
})();
