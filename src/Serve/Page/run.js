page.follow('run', 2000, () => {
  const epoch = document.getElementById('epoch');
  document.title = (epoch ? epoch.textContent.split(' · ')[0] + ' – ' : '') + 'Training run – CudaTrainer';
});
