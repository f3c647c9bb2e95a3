System.Console.WriteLine("cudatrainer");
